"""A notebook open in JupyterLab: run its cells, reload the page, ask the kernel."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page

# Generous, for a machine that is busy with something else; what hangs still comes to an end.
LIMIT_MS = 180_000

# The execution indicator also reads idle before there is a kernel, and running cells then opens a dialog.
KERNEL_READY = """() => {
  const session = window.jupyterapp?.shell?.currentWidget?.context?.sessionContext;
  const kernel = session?.session?.kernel;
  return !!session?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""

# Asks over the page's own connection, so the question queues behind all messages the page has already sent.
ASK_KERNEL = """async ([code, limit]) => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  const future = kernel.requestExecute({
    code, store_history: false, stop_on_error: false, user_expressions: {answer: '_test_answer'},
  });
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('the kernel did not answer in ' + limit + ' ms')), limit);
  });
  const reply = await Promise.race([future.done, late]);
  if (reply.content.status !== 'ok') {
    throw new Error(reply.content.ename + ': ' + reply.content.evalue + '\\n' +
                    (reply.content.traceback ?? []).join('\\n'));
  }
  return reply.content.user_expressions.answer?.data?.['text/plain'];
}"""

SCROLL_TO_CELL = """text => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const index = notebook.widgets.findIndex(cell => cell.model.sharedModel.getSource().includes(text));
  if (index < 0) throw new Error('no cell holds ' + text);
  notebook.activeCellIndex = index;
  return notebook.scrollToItem(index, 'start');
}"""

RUN_COMMAND = """([name, limit]) => {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(name + ' did not end in ' + limit + ' ms')), limit);
  });
  return Promise.race([window.jupyterapp.commands.execute(name), late]).then(() => null);
}"""

ADD_CELL = """code => {
  const panel = window.jupyterapp.shell.currentWidget;
  panel.content.activeCellIndex = panel.content.widgets.length - 1;
  return window.jupyterapp.commands.execute('notebook:insert-cell-below').then(() => {
    panel.content.activeCell.model.sharedModel.setSource(code);
  });
}"""

# Waits only until the kernel has begun, so that the page can paint and interrupt meanwhile.
BEGIN = """code => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false});
  window._testBegun = future.done;
  return new Promise(resolve => {
    future.onIOPub = message => { if (message.content.execution_state === 'busy') resolve(null); };
  });
}"""
END = "async () => { const { content } = await window._testBegun; return content.ename ?? content.status; }"

INTERRUPT = "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.interrupt()"

KEEP_CELLS = """n => {
  const notebook = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
  while (notebook.cells.length > n) notebook.deleteCell(notebook.cells.length - 1);
}"""

ERROR_OUTPUTS = ", ".join(
    f".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("stderr", "error")
)


class Notebook:
    """One notebook in one page.

    Example:
        >>> notebook = Notebook(page, server.address("paint.ipynb"))    # doctest: +SKIP
        >>> notebook.run_all()                                  # doctest: +SKIP
        >>> notebook.ask("widget.scene.seed")                   # doctest: +SKIP
        3
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self._address = address
        self.open()

    def open(self) -> None:
        self.page.goto(self._address, wait_until="domcontentloaded")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LIMIT_MS)
        self._wait_for_kernel()

    def reload(self) -> None:
        """Load the page anew; the kernel lives on."""
        self.page.reload(wait_until="domcontentloaded")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LIMIT_MS)
        self._wait_for_kernel()

    def save(self) -> None:
        self._command("docmanager:save")

    def run_all(self) -> None:
        """Run every cell; an error or a line on stderr is a failure."""
        self._command("notebook:run-all-cells")
        self._wait_for_kernel()
        self.check_outputs()

    def check_outputs(self) -> None:
        """Fail if there is an error or a line on stderr below any cell."""
        complaints = self.page.locator(ERROR_OUTPUTS).all_text_contents()
        if complaints:
            raise RuntimeError("cells complained:\n" + "\n".join(complaints))

    def add_and_run_cell(self, code: str) -> None:
        """Put a cell below the last one and run it."""
        self.page.evaluate(ADD_CELL, code)
        self._command("notebook:run-cell")
        self._wait_for_kernel()

    def keep_cells(self, n: int) -> None:
        """Delete all cells but the first n."""
        self.page.evaluate(KEEP_CELLS, n)

    def begin(self, statements: str) -> None:
        """Run statements in the kernel, and wait only until it has begun."""
        self.page.evaluate(BEGIN, statements)

    def end(self) -> str:
        """Wait for what was begun: "ok", or the name of the exception that ended it."""
        name: str = self.page.evaluate(END)
        return name

    def interrupt(self) -> None:
        """What the stop button does."""
        self.page.evaluate(INTERRUPT)

    def scroll_to_cell(self, text: str) -> None:
        """Bring the first cell whose source has this text into view: Lab need not keep others in the page."""
        self.page.evaluate(SCROLL_TO_CELL, text)

    def in_another_page(self) -> Notebook:
        """The same notebook in a second browser tab; the kernel is shared, and so must be what was saved."""
        return Notebook(self.page.context.new_page(), self._address)

    def restart_kernel(self) -> None:
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()"
        )
        self._wait_for_kernel()

    def tell(self, statements: str) -> None:
        """Run statements in the kernel, in the notebook's namespace, without a cell."""
        self.page.evaluate(ASK_KERNEL, [f"{statements}\n_test_answer = None", LIMIT_MS])

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel; it must survive JSON."""
        code = f"import json as _test_json\n_test_answer = _test_json.dumps({expression}).encode().hex()"
        text: str = self.page.evaluate(ASK_KERNEL, [code, LIMIT_MS])
        # Hex has no character that repr() would escape, so stripping the quotes is all the parsing there is.
        return json.loads(bytes.fromhex(text.strip("'")))

    def _command(self, name: str) -> None:
        self.page.evaluate(RUN_COMMAND, [name, LIMIT_MS])

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_function(KERNEL_READY, timeout=LIMIT_MS)
