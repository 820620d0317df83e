// What pages do beyond links and forms; without it they do the same, with more loading.
"use strict";

// Deletions go on while a page is looked at.
const drawer = document.getElementById("tasks");
async function follow() {
  while (drawer && drawer.querySelector("[data-waiting]")) {
    await new Promise((done) => setTimeout(done, 1000));
    try {
      const answer = await fetch("/console/tasks/drawer", { redirect: "manual" });
      if (!answer.ok) return;
      drawer.innerHTML = await answer.text();
    } catch {
      continue;
    }
    if (!drawer.querySelector("[data-waiting]") && document.querySelector("[data-follows]")) {
      // What is shown may be gone by now.
      location.reload();
    }
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
