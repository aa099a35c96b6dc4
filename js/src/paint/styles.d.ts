/** A style sheet is imported as its text; build.mjs does that. */
declare module "*.css" {
  const text: string;
  export default text;
}
