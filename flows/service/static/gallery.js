// Arrow keys walk through the cards, / goes to the search, and the next page comes when its link is seen.
"use strict";
const list = document.getElementById("cards");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("prefix").focus();
    return;
  }
  const cards = list ? [...list.querySelectorAll("a.card")] : [];
  if (!cards.length) return;
  const at = cards.indexOf(document.activeElement);
  const across = cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  cards[Math.min(cards.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
});
function watch() {
  const more = document.getElementById("more");
  if (!more || !("IntersectionObserver" in window)) return;
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    const answer = await fetch(more.href);
    if (!answer.ok) return; // the link is still there to be followed
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const item of page.querySelectorAll("#cards > li")) list.append(document.adoptNode(item));
    const next = page.getElementById("more");
    if (next) { more.href = next.href; watch(); } else { more.closest(".more").remove(); }
  }, { rootMargin: "400px" });
  seen.observe(more);
}
watch();
