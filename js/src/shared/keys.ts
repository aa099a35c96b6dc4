/** The anywidget module that keeps keys from the notebook for widgets without a module of their own. */
import { keepKeysFromNotebook } from "./notebook_keys.ts";

interface Model {
  get(name: "within"): string;
}

export default {
  render({ model, el }: { model: Model; el: HTMLElement }) {
    const listening = new AbortController();
    // The element is not inside its widget yet, so the widget is looked up when a key is pressed.
    keepKeysFromNotebook((path) => {
      const root = el.closest(`.${model.get("within")}`);
      return root !== null && path.includes(root);
    }, listening.signal);
    return () => listening.abort();
  },
};
