// How the scripts of a page make elements. Texts come from anybody: they become text nodes, never HTML.
"use strict";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// a name that does not turn what is around it to the left
function isolated(name) {
  return element("bdi", {}, name);
}
