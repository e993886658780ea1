// A photo may be dropped on the page; what is wrong is said beside the form; and it tells that it works.
"use strict";
const form = document.getElementById("try"), photo = document.getElementById("photo");
const go = document.getElementById("go"), wrong = document.getElementById("wrong");
const drop = document.getElementById("drop");
for (const what of ["dragover", "dragleave", "drop"]) document.addEventListener(what, (event) => {
  event.preventDefault();
  drop.classList.toggle("over", what === "dragover");
  if (what === "drop" && event.dataTransfer.files.length) photo.files = event.dataTransfer.files;
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  wrong.textContent = "";
  go.disabled = true;
  const begun = Date.now();
  const clock = setInterval(() => { go.textContent = `Working, ${Math.round((Date.now() - begun) / 1000)} s`; }, 500);
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (answer.ok) { location.href = answer.url; return; }
    const said = await answer.json().catch(() => null);
    wrong.textContent = said?.error?.message ?? `The service answered ${answer.status}.`;
  } catch {
    wrong.textContent = "The service cannot be reached.";
  } finally {
    clearInterval(clock);
    go.textContent = "Try it";
    go.disabled = false;
  }
});
