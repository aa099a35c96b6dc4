/** JSX is compiled to calls of `h`; esbuild adds this import to every file that needs it. */
export { Fragment, h } from "preact";
