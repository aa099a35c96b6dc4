/** What JSX becomes; esbuild puts it where it is used. */
export { h } from "preact";
