/**
 * Whether a key belongs to an input method, which for instance takes Enter for the word that it proposes. Safari says with
 * its last key that nothing is being composed, but gives it the code of all such keys.
 */
export const isComposing = ({ isComposing, keyCode }: Pick<KeyboardEvent, "isComposing" | "keyCode">): boolean =>
  isComposing || keyCode === 229;
