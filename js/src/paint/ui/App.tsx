import { Component } from "preact";
import type { View } from "../store/view.ts";
import { Footer, Notice, Replaced } from "./Footer.tsx";
import { listenToFiles } from "./files.ts";
import { keepFocus } from "./focus.ts";
import { listenToKeys, listenToReleases } from "./keys.ts";
import { Late } from "./Late.tsx";
import { listenToPointer, preventDrags } from "./pointer.ts";
import { keepOverlay, keepPicture, Stage } from "./Stage.tsx";

/** One view of the widget. Canvases and listeners are connected here, so that they do not wait for a redraw. */
export class App extends Component<{ view: View; el: HTMLElement }> {
  private readonly stop = new AbortController();

  override componentDidMount(): void {
    const { view, el } = this.props;
    const root = el.firstElementChild as HTMLElement;
    const [picture, grid] = root.querySelectorAll("canvas");
    keepFocus(root, this.stop.signal);
    listenToKeys(root, grid, view, this.stop.signal);
    listenToReleases(view, this.stop.signal);
    preventDrags(root, this.stop.signal);
    if (!picture || !grid) return;
    keepPicture(picture, view, this.stop.signal);
    keepOverlay(grid, view, this.stop.signal);
    listenToPointer(grid, view, this.stop.signal);
    listenToFiles(root, view.store, this.stop.signal);
  }

  override componentWillUnmount(): void {
    this.stop.abort();
    this.props.view.leaveKeys();
  }

  override render() {
    return <Widget view={this.props.view} />;
  }
}

function Widget({ view }: { view: View }) {
  const { store } = view;
  const { panel } = store;
  const all = panel === "all";
  const zoom = view.sideBySide.value ? null : view.zoom.value;
  const frame = store.pictures.picture.value?.frame;
  return (
    <div
      class="ember-paint"
      data-testid="ember-paint"
      // A click between the controls gives the widget the focus, so that its keys work and the notebook's do not.
      tabIndex={-1}
      data-seq={store.pictures.shownSeq.value}
      data-kind={frame?.kind ?? "final"}
      data-busy={store.status.task.value !== ""}
      data-revision={store.painting.info.value?.revision ?? ""}
      data-panel={store.panel}
      data-frozen={store.status.frozen.value}
    >
      <Late part="Style" view={view} quiet />
      <div class="e-card">
        {all && (
          <div class="e-top">
            <Late part="DrawForm" view={view} quiet />
          </div>
        )}
        <div class={view.sideBySide.value ? "e-body e-body-beside" : zoom ? "e-body e-zoomed" : "e-body"}>
          {panel !== "factors" && (
            <div class="e-left" style={zoom ? { width: `${zoom}px` } : {}}>
              <Stage view={view} />
              <Replaced store={store} />
              {all && <Late part="Picture" view={view} quiet />}
            </div>
          )}
          {panel !== "picture" && (
            <div class="e-panel">
              <Late part="Side" view={view} />
            </div>
          )}
        </div>
        <Notice view={view} />
        {all && <Footer view={view} />}
        {store.files.program.value !== null && <Late part="Program" view={view} />}
        {store.files.sheet.value && <Late part="Sheet" view={view} />}
        {store.files.film.value && <Late part="Film" view={view} />}
        {/* The last one is on top, and this one can be opened over the others. */}
        {view.help.value && <Late part="Keys" view={view} />}
      </div>
    </div>
  );
}
