/** Buttons, fields, sliders and choices. */

import type { Signal } from "@preact/signals-core";
import { Component, type ComponentChildren, type ComponentProps, createRef } from "preact";
import { isComposing } from "../../shared/composing.ts";
import type { Store } from "../store/store.ts";
import { Button, type ButtonProps, type PlainProps } from "./button.tsx";
import { reveal } from "./focus.ts";
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

interface TwiceProps {
  icon: IconName;
  label: string;
  question: string;
  testid: string;
  onTwice: () => void;
}

/** A button that asks before it acts: only a second press does it. */
export class TwiceButton extends Component<TwiceProps, { asks: boolean }> {
  override state = { asks: false };
  private focused: HTMLElement | null = null;

  override componentWillUnmount(): void {
    // What it deleted may have been the last there was; the focus goes on to the grid.
    this.focused?.closest(".ember-paint")?.querySelector<HTMLElement>(".e-grid")?.focus({ preventScroll: true });
  }

  override render({ icon, label, question, testid, onTwice }: TwiceProps) {
    const { asks } = this.state;
    const ask = (to: boolean) => this.setState({ asks: to });
    return (
      <IconButton
        icon={icon}
        label={asks ? question : label}
        testid={testid}
        isOn={asks}
        onFocus={(event) => {
          this.focused = event.currentTarget;
        }}
        onBlur={() => {
          this.focused = null;
          ask(false);
        }}
        onClick={() => {
          if (asks) onTwice();
          ask(!asks);
        }}
      >
        {asks && question}
      </IconButton>
    );
  }
}

export const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value;

type FieldProps = Omit<ComponentProps<"input">, "value" | "label" | "type" | "role"> & {
  testid: string;
  type?: "text" | "number" | "search";
  role?: "combobox";
  /** What is in force. While it is null, nothing is: the field is blank and disabled. */
  value: string | number | null;
  /** A field without a visible label needs an `aria-label`. */
  label?: ComponentChildren;
  /** How many characters a text may have. */
  most?: number;
  /** Says what is wrong with a text; "" if nothing is. */
  check?: (text: string) => string;
  /** Called with every right text that is typed; and if it goes wrong, with what was in force before. */
  onText?: (text: string) => void;
  /** Called with a right text on Enter, and when the field is left. */
  onEnter?: (text: string) => void;
  /** Said below the field. */
  note?: ComponentChildren;
};

/**
 * A field for a text or a number. What is wrong is said below it. While it is wrong, what was in force before it was typed
 * in is in force, and comes back on Escape, when the field is left, and when the kernel refuses what was entered.
 */
export class Field extends Component<FieldProps> {
  /** Random, because every widget of a page evaluates this file for itself. */
  private readonly id = `e${Math.random()}`;
  /** What was typed, until it is entered; null if nothing was. */
  private typed: string | null = null;
  /** What was in force before that. */
  private before: FieldProps["value"] = null;
  /** The next change of the value comes from what was typed here. */
  private isOwn = false;

  override componentDidUpdate({ value }: FieldProps): void {
    if (value === this.props.value) return;
    if (!this.isOwn && this.typed !== null) this.type(null);
    this.isOwn = false;
  }

  private type(typed: string | null): void {
    this.typed = typed;
    if (typed === null) this.isOwn = false;
    this.forceUpdate();
  }

  private get wrong(): string {
    const { check, most = 10_000 } = this.props;
    if (this.typed === null) return "";
    return this.typed.length > most ? `Up to ${most} characters` : (check?.(this.typed) ?? "");
  }

  private enter(isLeft: boolean): void {
    const { typed, wrong } = this;
    if (typed === null || (wrong && !isLeft)) return;
    this.type(null);
    if (!wrong) this.props.onEnter?.(typed);
  }

  override render() {
    const {
      testid,
      value,
      label,
      most,
      check,
      onText,
      onEnter,
      note,
      class: kind,
      title,
      children,
      ...more
    } = this.props;
    const { wrong } = this;
    const said = wrong || note;
    const input = (
      <input
        type="text"
        dir="auto"
        spellcheck={false}
        autocomplete="off"
        data-testid={testid}
        class={label ? "" : kind}
        {...(more as ComponentProps<"input">)}
        disabled={value === null || more.disabled}
        aria-invalid={!!wrong}
        aria-describedby={said ? this.id : ""}
        value={this.typed ?? value ?? ""}
        onInput={(event) => {
          const text = textOf(event);
          if (this.typed === null) this.before = value;
          this.type(text);
          // A part of a wrong text may have been right, but nobody chose it.
          const chosen = this.wrong ? `${this.before ?? ""}` : text;
          this.isOwn = !!onText;
          onText?.(chosen);
        }}
        onChange={() => this.enter(false)}
        onBlur={() => this.enter(true)}
        onKeyDown={(event) => {
          if (isComposing(event)) return;
          // Browsers enter nothing on Enter inside JupyterLab.
          if (event.key === "Enter") this.enter(false);
          if (event.key !== "Escape" || this.typed === null) return;
          if (wrong) event.stopPropagation();
          this.type(null);
          onText?.(`${this.before ?? ""}`);
        }}
      />
    );
    const below = (
      <small class={wrong ? "e-note e-wrong" : "e-note"} id={this.id} role="status" data-testid={`${testid}-note`}>
        {said}
      </small>
    );
    if (!label) return [input, below];
    return (
      <div class={kind} title={title}>
        {/* biome-ignore lint/a11y/noLabelWithoutControl: the input is in it */}
        <label>
          <span>{label}</span>
          {children ? (
            <span class="e-joined">
              {input}
              {children}
            </span>
          ) : (
            input
          )}
        </label>
        {below}
      </div>
    );
  }
}

/** Says of a text that it is not a whole number from 1 to `most`. */
export const wholeUpTo =
  (most: number) =>
  (text: string): string =>
    Number.isInteger(Number(text)) && Number(text) >= 1 && Number(text) <= most ? "" : `1 to ${most}`;

/** A small picture; without one, an empty box of the same size. */
export const Swatch = ({ url, testid }: { url: string | undefined; testid?: string }) =>
  url ? <img class="e-swatch" src={url} alt="" data-testid={testid} /> : <span class="e-swatch" />;

interface OverProps {
  label: string;
  testid: string;
  class?: string;
  /** Whether the label is shown as its title. */
  isTitled?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/**
 * Makes all of the card inert but the sheet on top, which is the last one; without a sheet, all of it can be used. Returns
 * that sheet.
 */
export function cover(card: Pick<Element, "children">, closed?: Element): HTMLElement | undefined {
  const parts = [...card.children] as HTMLElement[];
  const top = parts.filter((part) => part.matches(".e-keys") && part !== closed).at(-1);
  for (const part of parts) part.inert = !!top && part !== top;
  return top;
}

/** A sheet over the widget that can be closed. It takes the focus from the control that opened it, and gives it back. */
export class Over extends Component<OverProps> {
  private readonly sheet = createRef<HTMLElement>();
  private opener: HTMLElement | null = null;

  override componentDidMount(): void {
    const sheet = this.sheet.current;
    if (!sheet?.parentElement) return;
    const isUsed = sheet.closest(".ember-paint:focus-within");
    this.opener = (sheet.getRootNode() as Document).activeElement as HTMLElement;
    // Somebody who has left the widget meanwhile keeps the focus.
    if (cover(sheet.parentElement) !== sheet || !isUsed) return;
    sheet.focus({ preventScroll: true });
    // The second call is for a sheet that is higher than the window: it shows its top, where the first button is.
    reveal(sheet);
    reveal(sheet.firstElementChild);
  }

  override componentWillUnmount(): void {
    const sheet = this.sheet.current;
    if (!sheet?.parentElement) return;
    const isUsed = sheet.matches(":focus-within");
    const next = cover(sheet.parentElement, sheet) ?? this.opener;
    if (isUsed) next?.focus();
  }

  override render({ label, testid, class: kind = "", isTitled, onClose, children }: OverProps) {
    return (
      <section class={`e-keys ${kind}`} role="dialog" aria-label={label} tabIndex={-1} ref={this.sheet}>
        <IconButton icon="close" label="Close (Esc)" testid={`${testid}-close`} onClick={onClose} />
        {isTitled && <h2>{label}</h2>}
        {children}
      </section>
    );
  }
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
 * Submits a form on Enter, because browsers do not do so inside JupyterLab; but not from a field that acts without the
 * form (`data-live`), or that is wrong.
 */
export function submitOnEnter(event: KeyboardEvent): void {
  const { key, target, currentTarget } = event;
  if (key !== "Enter" || isComposing(event) || !(target instanceof HTMLInputElement)) return;
  event.preventDefault();
  if (!("live" in target.dataset) && target.ariaInvalid !== "true") (currentTarget as HTMLFormElement).requestSubmit();
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

/** What the label of a control says that draws or opens another picture. */
export const loses = ({ history }: Store): string =>
  history.isEdited.value ? "; replaces your painting, Undo brings it back" : "";

/** Asks for a file. */
export function pickFile(onPick: (file: File) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.onchange = () => input.files?.[0] && onPick(input.files[0]);
  input.click();
}
