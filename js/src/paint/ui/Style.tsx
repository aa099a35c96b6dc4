/** The styles of the controls. They come with the controls, and not with every saved widget. */
import style from "../panels.css";

export const Style = () => <style>{style}</style>;
