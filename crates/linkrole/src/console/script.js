// What pages do beyond links and forms; without it they do the same, with more loading.
"use strict";

// Deletions go on while a page is looked at: the notices follow them, and so does what shows their roles.
const drawer = document.getElementById("tasks");

async function follow() {
  let pause = 1000;
  while (drawer && drawer.querySelector("[data-waiting]")) {
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 1.2, 10000);
    try {
      const answer = await fetch("/console/tasks/drawer", { redirect: "manual" });
      if (!answer.ok) return;
      const text = await answer.text();
      if (text.trim() === drawer.innerHTML.trim()) continue;
      drawer.innerHTML = text;
      await refresh();
    } catch {
      continue;
    }
  }
}

// Shows anew what may have changed, unless somebody is at work on it.
async function refresh() {
  for (const shown of document.querySelectorAll("[data-follows]")) {
    if (shown.contains(document.activeElement) || shown.querySelector("input:checked")) continue;
    const answer = await fetch(location.href, { redirect: "manual" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(shown.id);
    if (fresh) shown.innerHTML = fresh.innerHTML;
  }
}

follow();

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

// The search of a page is a key away.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
});

// A deletion is confirmed by its word.
const confirmed = document.querySelector("[data-word]");
if (confirmed) {
  const button = confirmed.form.querySelector("button.danger");
  const check = () => { button.disabled = confirmed.value.trim() !== confirmed.dataset.word; };
  confirmed.addEventListener("input", check);
  check();
}
