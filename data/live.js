// What ipywidgets can't do by itself. Arrows, Enter, Space and letters stay in the box and don't go to JupyterLab's own
// keys, until it is locked: else an arrow leaves a list or a slider for the next cell. The options of a question are one
// group, with its text as their name for a screen reader. Arrows go from button to button; a new `.slmlab-end` comes into
// view.
let tries = 50; const own = 'asked' + Math.random(), mend = () => {
  const box = this.closest('.slmlab-live'), find = (what, where = box) => [...(where || this).querySelectorAll(what)];
  const asked = find('.slmlab-asked'), groups = find('.slmlab-options'), end = find('.slmlab-end')[0];
  const count = Math.min(asked.length, groups.filter(one => find('input, button', one).length).length);
  if (count < QUESTIONS) { if (tries--) setTimeout(mend, 100); return; }
  groups.forEach((group, at) => {
    const radios = find('input[type=radio]', group);
    radios.forEach(radio => { radio.name = own + at; });
    group.setAttribute('role', radios.length ? 'radiogroup' : 'group');
    group.setAttribute('aria-label', asked[at].textContent);
  });
  const show = new MutationObserver(() => end.scrollIntoView({block: 'nearest'}));
  if (end) show.observe(end, {childList: true, subtree: true});
  box.onkeydown = event => {
    const {key} = event, buttons = find('.slmlab-options button'), here = buttons.indexOf(document.activeElement);
    if (find('.slmlab-locked').length || event.shiftKey || event.ctrlKey || event.metaKey) return;
    if (key === 'Tab' || key === 'Escape') return;
    event.stopPropagation();
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[key];
    if (!step || here < 0) return;
    event.preventDefault();
    buttons[(here + step + buttons.length) % buttons.length].focus();
  };
}; mend();
