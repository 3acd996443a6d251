// The forms that ask a device for a passkey. What is asked is in an attribute of the form, so that
// no page holds a script; allauth's own code does the asking.

for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    fail(form, "This browser has no passkeys here: they need https, or localhost.");
    continue;
  }
  form.hidden = false;
  const kind = form.dataset.passkey;
  const button = "passkey_button";
  // What is typed has to be right first: a device would keep a passkey that nobody knows.
  document.getElementById(button).addEventListener("click", (event) => {
    form.querySelector("[data-passkey-error]").hidden = true;
    if (!form.reportValidity()) event.stopImmediatePropagation();
  });
  window.allauth.webauthn.forms[kind]({
    ids: {
      add: button,
      login: button,
      authenticate: button,
      credential: "passkey_credential",
      passwordless: kind === "addForm" ? "id_passwordless" : undefined,
    },
    data: JSON.parse(form.dataset.options ?? "null"),
  });
}

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const form = document.querySelector("[data-passkey]");
  const error = event.detail.exception;
  fail(form, {
    NotAllowedError: "Nothing came from the device. Try again, or use another way.",
    InvalidStateError: "This device is a passkey of yours already.",
    SecurityError: "Passkeys belong to this installation's own address: open it by that.",
  }[error?.name] ?? "The device could not be asked. Try again.");
});

function fail(form, text) {
  const place = form.querySelector("[data-passkey-error]");
  place.textContent = text;
  place.hidden = false;
}
