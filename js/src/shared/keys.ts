/**
 * The anywidget module of widgets without one of their own: keeps keys from the notebook, leaves the wheel to it, makes
 * canvases of ipycanvas usable by keyboard and finger, and counts the views.
 */
import { leaveCanvasesToPage, nameCanvases } from "./canvases.ts";
import { keepKeysFromNotebook } from "./notebook_keys.ts";
import { leaveWheelToPage } from "./wheel.ts";

interface Model {
  get(name: "within" | "zooms"): string;
  send(content: { client: string; n: number }): void;
  on(event: "msg:custom", callback: () => void): void;
  off(event: "msg:custom", callback: () => void): void;
}

export default () => {
  const client = String(Math.random());
  let nViews = 0;
  return {
    render({ model, el }: { model: Model; el: HTMLElement }) {
      const listening = new AbortController();
      const count = (change: number) => {
        nViews += change;
        model.send({ client, n: nViews });
      };
      // The only message from the kernel asks for the number of views.
      const answer = () => count(0);
      // The element is not inside its widget yet, so the widget is looked up when a key is pressed.
      const rootOf = () => el.closest(`.${model.get("within")}`);
      const isInside = (path: EventTarget[]) => {
        const root = rootOf();
        return root !== null && path.includes(root);
      };
      keepKeysFromNotebook(isInside, listening.signal);
      leaveWheelToPage(isInside, model.get("zooms"), listening.signal);
      if (model.get("within") === "ember-inspect") {
        leaveCanvasesToPage(isInside, listening.signal);
        nameCanvases(rootOf, listening.signal);
      }
      model.on("msg:custom", answer);
      count(1);
      return () => {
        listening.abort();
        model.off("msg:custom", answer);
        count(-1);
      };
    },
  };
};
