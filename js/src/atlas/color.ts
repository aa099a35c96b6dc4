/** The background colour behind an element, as "#rrggbb"; the map is drawn on the same colour. */

const CHANNELS = /^rgba?\((\d+)[, ]+(\d+)[, ]+(\d+)(?:[,/ ]+([\d.]+))?\)$/;

export function toHex(color: string): string | null {
  const match = CHANNELS.exec(color.trim());
  if (!match || (match[4] !== undefined && Number(match[4]) < 1)) return null;
  return `#${[1, 2, 3].map((i) => Number(match[i]).toString(16).padStart(2, "0")).join("")}`;
}

export function groundOf(element: Element): string {
  for (let at: Element | null = element; at; at = at.parentElement) {
    const hex = toHex(getComputedStyle(at).backgroundColor);
    if (hex) return hex;
  }
  return "#ffffff";
}
