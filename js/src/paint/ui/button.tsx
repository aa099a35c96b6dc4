/** The one control that is needed before panels.js is there. */

import type { ComponentProps } from "preact";

export interface Named {
  testid: string;
}

export interface Switch {
  isOn?: boolean;
}

export type PlainProps = Omit<ComponentProps<"button">, "type" | "icon"> & Switch;
export type ButtonProps = PlainProps & Named;

/** A button that is disabled keeps the focus: the attribute "disabled" would give it to the page. */
export function Button({ testid, isOn, disabled, onClick, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      data-testid={testid}
      aria-pressed={isOn}
      aria-disabled={disabled || undefined}
      {...(!disabled && { onClick })}
      {...props}
    />
  );
}
