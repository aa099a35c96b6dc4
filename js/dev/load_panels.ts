/** In the page without a kernel, the components come with everything else. */
export const loadPanels = () => import("../src/paint/ui/panels.tsx");
