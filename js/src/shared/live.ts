/**
 * Redraws a component when a signal that it has read changes. @preact/signals does the same, but it needs preact/hooks,
 * which would add 5 KB to the bundle.
 */

import { effect } from "@preact/signals-core";
import { Component, type ComponentChildren, Fragment, type FunctionComponent, options, type VNode } from "preact";

type View = FunctionComponent<object>;

const subscribed = (view: View) =>
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

    /** A component is not redrawn only because its parent is: a property or a signal must have changed. */
    override shouldComponentUpdate(next: Record<string, unknown>): boolean {
      const now = this.props as Record<string, unknown>;
      return [now, next].some((props) => Object.keys(props).some((key) => now[key] !== next[key]));
    }

    override componentWillUnmount(): void {
      this.stop();
    }
  };

const known = new WeakMap<View, ReturnType<typeof subscribed>>();

// All function components are wrapped here. A component that somebody forgot to wrap would show an old state.
options.vnode = (vnode: VNode) => {
  const { type } = vnode;
  if (typeof type !== "function" || type === Fragment || type.prototype?.render) return;
  const view = type as View;
  if (!known.has(view)) known.set(view, subscribed(view));
  vnode.type = known.get(view) as unknown as View;
};
