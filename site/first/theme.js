// Before the page is drawn: the reader's colours. The lessons' pages use the same name.
const kept = (() => {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // a browser that keeps nothing follows the system
  }
})();
if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
document.documentElement.classList.add("js");
