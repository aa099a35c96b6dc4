/**
 * Components draw themselves again when a signal that they read changes. @preact/signals does that too, at the price of
 * the hooks it needs: 5 KB of a bundle that every widget sends and saves again.
 */

import { Component, type ComponentChildren, Fragment, type FunctionComponent, options, type VNode } from "preact";
import { effect } from "../../shared/signals.ts";

type View = FunctionComponent<object>;

const lively = (view: View) =>
  class extends Component<object> {
    private stop = () => {};

    override render(props: object): ComponentChildren {
      this.stop();
      let drawn: ComponentChildren;
      let first = true;
      this.stop = effect(() => {
        if (first) drawn = view(props as never) as ComponentChildren;
        else this.forceUpdate();
        first = false;
      });
      return drawn;
    }

    /** The same properties, no new signal: nothing to draw, however often the parent is. */
    override shouldComponentUpdate(next: Record<string, unknown>): boolean {
      const now = this.props as Record<string, unknown>;
      return [now, next].some((props) => Object.keys(props).some((key) => now[key] !== next[key]));
    }

    override componentWillUnmount(): void {
      this.stop();
    }
  };

const known = new WeakMap<View, ReturnType<typeof lively>>();

// Every function is wrapped, not only those that say so: one forgotten would show yesterday's state.
options.vnode = (vnode: VNode) => {
  const { type } = vnode;
  if (typeof type !== "function" || type === Fragment || type.prototype?.render) return;
  const view = type as View;
  if (!known.has(view)) known.set(view, lively(view));
  vnode.type = known.get(view) as unknown as View;
};
