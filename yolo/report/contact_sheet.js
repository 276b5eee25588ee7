// The contact sheet: filters and sorts the pictures that are in the page, and shows one large. Without scripts the
// pictures are links.
(() => {
  const list = document.querySelector(".shots");
  const form = document.querySelector(".controls");
  const viewer = document.querySelector(".viewer");
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const shots = Array.from(list.children, (item, place) => {
    const counts = new Map();
    let total = 0;
    for (const pair of item.dataset.counts.split(" ").filter(Boolean)) {
      const [label, count] = pair.split(":");
      counts.set(label, Number(count));
      total += Number(count);
    }
    const name = item.querySelector(".what").textContent;
    return { item, place, counts, total, name, lowered: name.toLocaleLowerCase(), best: Number(item.dataset.best) };
  });
  let visible = shots;
  let current = null;

  const number = (field, otherwise) => (field.value === "" ? otherwise : Number(field.value));

  function update() {
    const { label, least, most, text, order } = form.elements;
    const count = (shot) => (label.value === "" ? shot.total : shot.counts.get(label.value) ?? 0);
    // a class is chosen to see where it is; "at least 0" shows the others as well
    const low = number(least, label.value === "" ? 0 : 1);
    const high = number(most, Infinity);
    const wanted = text.value.trim().toLocaleLowerCase();
    const orders = {
      place: (a, b) => a.place - b.place,
      name: (a, b) => collator.compare(a.name, b.name) || a.place - b.place,
      most: (a, b) => count(b) - count(a) || a.place - b.place,
      fewest: (a, b) => count(a) - count(b) || a.place - b.place,
      best: (a, b) => b.best - a.best || a.place - b.place,
      worst: (a, b) => a.best - b.best || a.place - b.place,
    };
    visible = shots.filter((shot) => count(shot) >= low && count(shot) <= high && shot.lowered.includes(wanted));
    visible.sort(orders[order.value]);
    list.replaceChildren(...visible.map((shot) => shot.item));
    form.querySelector(".shown").textContent = `${visible.length.toLocaleString("en")} of ${shots.length.toLocaleString("en")} pictures`;
    document.querySelector(".empty").hidden = visible.length > 0;
  }

  function show(shot) {
    current = shot;
    const link = shot.item.querySelector("a");
    const large = "video" in link.dataset
      ? element("video", { src: link.href, controls: true })
      : element("img", { src: link.href, alt: shot.name });
    viewer.querySelector(".stage").replaceChildren(large);
    const counts = shot.item.querySelector(".counts").cloneNode(true);
    viewer.querySelector(".caption").replaceChildren(isolated(shot.name), ": ", ...counts.childNodes);
    if (!viewer.open) viewer.showModal();
  }

  function step(by) {
    const place = visible.indexOf(current) + by;
    if (place >= 0 && place < visible.length) show(visible[place]);
  }

  list.addEventListener("click", (event) => {
    const item = event.target.closest(".shot");
    if (!event.target.closest("a") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(shots.find((shot) => shot.item === item));
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLVideoElement) return; // there the arrows move in time
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close(); // beside the picture
  });
  viewer.addEventListener("close", () => {
    viewer.querySelector(".stage").replaceChildren();
    current.item.querySelector("a").focus();
  });
  viewer.querySelector(".previous").addEventListener("click", () => step(-1));
  viewer.querySelector(".next").addEventListener("click", () => step(1));
  viewer.querySelector(".close").addEventListener("click", () => viewer.close());
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  update();
})();
