/** Buttons, fields, sliders and choices. */

import type { Signal } from "@preact/signals-core";
import type { ComponentChildren, ComponentProps } from "preact";
import { Button, type ButtonProps, type PlainProps } from "./button.tsx";
import { Icon, type IconName } from "./icons.tsx";

export { Button };

/** A button with a text. */
export function TextButton(props: ButtonProps) {
  return <Button class="e-button e-labelled" {...props} />;
}

/** A button with an icon: the one given, or the one named like its test id. */
export function IconButton({
  icon,
  label,
  children,
  ...props
}: PlainProps & { label: string } & ({ icon: IconName; testid: string } | { icon?: undefined; testid: IconName })) {
  return (
    <Button class={children ? "e-button e-labelled" : "e-button e-square"} title={label} aria-label={label} {...props}>
      <Icon name={(icon ?? props.testid) as IconName} />
      {children}
    </Button>
  );
}

export const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value;

/** A text field without the browser's spelling marks and suggestions. */
export function TextField({
  testid,
  onText,
  ...props
}: ComponentProps<"input"> & { testid: string; onText?: (text: string) => void }) {
  return (
    <input
      type="text"
      spellcheck={false}
      autocomplete="off"
      data-testid={testid}
      onInput={(event) => onText?.(textOf(event))}
      {...props}
    />
  );
}

/** A small picture; without one, an empty box of the same size. */
export const Swatch = ({ url, testid }: { url: string | undefined; testid?: string }) =>
  url ? <img class="e-swatch" src={url} alt="" data-testid={testid} /> : <span class="e-swatch" />;

/** A sheet over the widget that can be closed. */
export function Over(props: {
  label: string;
  testid: string;
  class?: string;
  hint?: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const { label, testid, class: kind = "", hint = "Close", onClose, children } = props;
  return (
    <section class={`e-keys ${kind}`} aria-label={label}>
      <IconButton icon="close" label={hint} testid={`${testid}-close`} onClick={onClose} />
      {children}
    </section>
  );
}

/** A range input whose filled part shows its value; a double click sets it to `resetTo`. */
export function Slider(props: {
  label: string;
  testid: string;
  value: number;
  min: number;
  max: number;
  step: number;
  resetTo: number;
  text: string;
  warn?: string | false;
  /** The track is tinted above this value, the largest that the model itself made. */
  mark?: number;
  disabled?: boolean | undefined;
  onInput: (value: number) => void;
  onCommit?: (value: number) => void;
}) {
  const { label, testid, value, min, max, step, resetTo, text, warn, mark = max, disabled, onInput, onCommit } = props;
  const share = (v: number) => `${(100 * (v - min)) / (max - min)}%`;
  const read = (event: Event) => (event.currentTarget as HTMLInputElement).valueAsNumber;
  const reset = () => {
    onInput(resetTo);
    onCommit?.(resetTo);
  };
  return (
    <span
      class={warn ? "e-slider e-warn" : "e-slider"}
      title={warn || label}
      style={{ "--fill": share(value), "--mark": share(Math.min(max, mark)) }}
    >
      <input
        type="range"
        aria-label={label}
        aria-valuetext={text}
        data-testid={testid}
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={disabled}
        onInput={(event) => onInput(read(event))}
        onChange={(event) => onCommit?.(read(event))}
        onDblClick={reset}
      />
      <output>{text}</output>
    </span>
  );
}

export function Choice<T extends string>(props: {
  label: string;
  testid: string;
  value: T;
  options: readonly (readonly [value: T, text: string, title: string])[];
  onChoose: (value: T) => void;
}) {
  const { label, testid, value, options, onChoose } = props;
  return (
    <fieldset class="e-choice" aria-label={label} data-testid={testid} data-value={value}>
      {options.map(([option, text, title]) => (
        <Button
          key={option}
          title={title}
          isOn={option === value}
          testid={`${testid}-${option}`}
          onClick={() => onChoose(option)}
        >
          {text}
        </Button>
      ))}
    </fieldset>
  );
}

/**
 * Submits a form on Enter, because browsers do not do so inside JupyterLab. A field that acts without the form
 * (`data-live`) only sends its change.
 */
export function submitOnEnter(event: KeyboardEvent): void {
  const { key, target, currentTarget } = event;
  if (key !== "Enter" || !(target instanceof HTMLInputElement)) return;
  event.preventDefault();
  target.dispatchEvent(new Event("change", { bubbles: true }));
  if (!("live" in target.dataset)) (currentTarget as HTMLFormElement).requestSubmit();
}

export function Check(props: { label: string; title: string; testid: string; value: Signal<boolean> }) {
  const { label, title, testid, value } = props;
  return (
    <label class="e-check" title={title}>
      <input
        type="checkbox"
        data-testid={testid}
        checked={value.value}
        onChange={(event) => {
          value.value = event.currentTarget.checked;
        }}
      />
      {label}
    </label>
  );
}

/** Asks for a file. */
export function pickFile(onPick: (file: File) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.onchange = () => input.files?.[0] && onPick(input.files[0]);
  input.click();
}
