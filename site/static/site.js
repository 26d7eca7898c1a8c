// What is wider than the screen scrolls by keyboard, too.
const reach = () => {
  for (const box of document.querySelectorAll(".output, .table-wrapper, pre"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
};
addEventListener("load", reach);
addEventListener("resize", reach);
