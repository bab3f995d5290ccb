// The page's link as a QR code, for phones: only where the page is served beyond its machine.

const details = document.getElementById("phone"), picture = details.querySelector("img");
details.addEventListener("toggle", () => { if (details.open) picture.src = "link.svg"; });

/** `shared`: whether there is a link; `trust`: where devices get the certificate; empty: there is none. */
export function showPhone({ shared = false, trust = "" } = {}) {
  details.hidden = !shared;
  details.querySelector("span").textContent = trust ? `An iPhone or iPad first opens ${trust}` : "";
}
