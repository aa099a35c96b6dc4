/** The place of a component that is in the second file, which may not have come yet. */

import type { ComponentChildren, FunctionComponent } from "preact";
import type { View } from "../store/view.ts";

type Parts = typeof import("./panels.tsx");
type Props<Name extends keyof Parts> = { view: View } & (Parameters<Parts[Name]> extends [infer Own] ? Own : unknown);

/** Shows a component of panels.tsx. Until the file has come, it says so, or (`quiet`) shows nothing. */
export function Late<Name extends keyof Parts>({
  part,
  quiet,
  ...props
}: { part: Name; quiet?: boolean } & Props<Name>): ComponentChildren {
  const { panels, status } = (props as Props<Name>).view.store;
  const Part = panels.components.value?.[part] as FunctionComponent<typeof props> | undefined;
  if (Part) return <Part {...props} />;
  if (quiet) return null;
  panels.want();
  const text = panels.isRefused.value
    ? "This browser does not let the widget load this part."
    : status.lost.value
      ? "This part comes from the kernel, which is busy or gone."
      : "Waiting for the kernel, which sends this part…";
  return (
    <p class="e-empty e-late" role="status" data-testid="late">
      {text}
    </p>
  );
}
