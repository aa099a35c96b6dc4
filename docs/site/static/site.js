// Opened as files, pages cannot read each other, so the search lists its results without excerpts.
if (location.protocol === "file:" && window.DOCUMENTATION_OPTIONS)
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
