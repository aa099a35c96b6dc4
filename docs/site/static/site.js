// Opened as files, pages cannot read each other, so the search lists its results without excerpts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS === "object")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// The painting page is opened in the landing page when it is asked for, since it brings the model.
document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector(".paint-here");
  const button = place?.querySelector("button");
  button?.addEventListener("click", () => {
    if (location.protocol === "file:") {
      place.textContent = "A browser runs the model only on pages that a web server sends: python -m http.server -d build/docs";
      return;
    }
    const frame = document.createElement("iframe");
    Object.assign(frame, { src: "paint/index.html", title: "Paint with a diffusion model's features" });
    frame.allow = "clipboard-read; clipboard-write";
    frame.className = "painting-page";
    frame.addEventListener("load", () => {
      const inside = frame.contentDocument.body;
      new ResizeObserver(() => (frame.style.height = `${inside.scrollHeight + 2}px`)).observe(inside);
    });
    for (const still of document.querySelectorAll(".bd-article img.only-light, .bd-article img.only-dark"))
      still.remove();
    place.replaceWith(frame);
  });
});
