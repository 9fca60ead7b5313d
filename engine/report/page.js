/* The map of the page: pixels come as grey pictures, 0 for none, then RSEI from 0 to 1 in equal steps. */
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const find = (id) => document.getElementById(id);
  const slider = find("epoch");
  const state = { site: 0, layer: "rsei", epoch: 0, place: null };
  const decoded = new Map();
  const map = L.map("map", { attributionControl: false, zoomSnap: 0.25, maxZoom: 15 });
  let shown = null;
  let lines = [];
  let mark = null;

  const site = () => data.sites[state.site];
  const year = () => site().epochs[state.epoch];
  const since = () => site().epochs[state.layer === "first" ? 0 : state.epoch - 1];

  function pixels(epoch) {
    const key = state.site + "/" + epoch;
    if (!decoded.has(key)) {
      decoded.set(key, new Promise((done, failed) => {
        const image = new Image();
        image.onload = () => {
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth;
          canvas.height = image.naturalHeight;
          const context = canvas.getContext("2d", { willReadFrequently: true });
          context.drawImage(image, 0, 0);
          const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
          const grey = new Uint8Array(rgba.length / 4);
          for (let i = 0; i < grey.length; i++) grey[i] = rgba[4 * i];
          done({ grey: grey, width: canvas.width, height: canvas.height });
        };
        image.onerror = failed;
        image.src = site().images[epoch];
      }));
    }
    return decoded.get(key);
  }

  /* The greatest change that has a colour of its own: all of the area's epochs share it. */
  function reach(now, before) {
    const counts = new Uint32Array(data.levels + 1);
    let total = 0;
    for (let i = 0; i < now.grey.length; i++) {
      if (now.grey[i] && before.grey[i]) {
        counts[Math.abs(now.grey[i] - before.grey[i])]++;
        total++;
      }
    }
    let seen = 0;
    for (let step = 0; step <= data.levels; step++) {
      seen += counts[step];
      if (seen >= 0.99 * total) return Math.max(step, data.levels / 20);
    }
    return data.levels;
  }

  async function coloured() {
    const now = await pixels(year());
    const canvas = document.createElement("canvas");
    canvas.width = now.width;
    canvas.height = now.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(now.width, now.height);
    const change = state.layer !== "rsei";
    const before = change ? await pixels(since()) : null;
    const widest = change ? reach(now, before) : 0;
    const ramp = change ? data.colours.change : data.colours.rsei;
    for (let i = 0; i < now.grey.length; i++) {
      if (!now.grey[i] || (change && !before.grey[i])) continue;
      let part = (now.grey[i] - 1) / data.levels;
      if (change) {
        const moved = (now.grey[i] - before.grey[i]) / widest;
        part = 0.5 + 0.5 * Math.max(-1, Math.min(1, moved));
      }
      image.data.set(ramp[Math.round(254 * part)], 4 * i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return { url: canvas.toDataURL(), widest: widest / data.levels };
  }

  async function draw() {
    if (state.layer !== "rsei" && state.epoch === 0) state.epoch = Math.min(1, site().epochs.length - 1);
    const possible = site().epochs.length > 1;
    if (!possible) state.layer = "rsei";
    slider.max = site().epochs.length - 1;
    slider.min = state.layer === "rsei" ? 0 : 1;
    slider.value = state.epoch;
    slider.disabled = !possible;
    const name = state.layer === "rsei" ? year() : since() + " to " + year();
    find("epoch-name").textContent = name;
    slider.setAttribute("aria-valuetext", name);
    for (const radio of document.querySelectorAll("[name=layer]")) {
      radio.checked = radio.value === state.layer;
      radio.disabled = !possible && radio.value !== "rsei";
    }
    const wanted = [state.site, state.layer, state.epoch].join();
    const made = await coloured();
    if (wanted !== [state.site, state.layer, state.epoch].join()) return;
    const look = { className: "pixels", opacity: find("opacity").value / 100, alt: "Map of " + name };
    const next = L.imageOverlay(made.url, site().bounds, look).addTo(map);
    next.getElement().dataset.shows = wanted;
    if (shown) shown.remove();
    shown = next;
    legend(made.widest);
    if (state.place) await tell(state.place);
  }

  function legend(widest) {
    const change = state.layer !== "rsei";
    const ramp = change ? data.colours.change : data.colours.rsei;
    const canvas = document.createElement("canvas");
    canvas.width = 255;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    ramp.forEach((shade, i) => {
      context.fillStyle = "rgb(" + shade.join() + ")";
      context.fillRect(i, 0, 1, 1);
    });
    const title = document.createElement("p");
    title.textContent = change ? "Change of RSEI" : "RSEI";
    const ends = document.createElement("div");
    ends.className = "ends";
    const words = change
      ? ["\u2212" + widest.toFixed(2) + " loss", "0", "gain +" + widest.toFixed(2)]
      : ["0 poor", "0.5", "excellent 1"];
    for (const word of words) {
      const part = document.createElement("span");
      part.textContent = word;
      ends.append(part);
    }
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Colours from " + words[0] + " to " + words[2]);
    find("legend").replaceChildren(title, canvas, ends);
  }

  function outlines() {
    for (const line of lines) line.remove();
    lines = [];
    const styles = [
      ["outline", site().outline, { color: "#222", weight: 1.5, fill: false, interactive: false }],
      ["mines", site().mines, { color: data.mines, weight: 1.5, fill: false, interactive: false }],
    ];
    for (const [box, shape, style] of styles) {
      find(box).disabled = !shape;
      if (shape && find(box).checked) lines.push(L.geoJSON(shape, { style: style, interactive: false }).addTo(map));
    }
  }

  /* Column and row of a place: the pictures are in web Mercator, as the map itself. */
  function cell(place, width, height) {
    const [[south, west], [north, east]] = site().bounds;
    const at = L.CRS.EPSG3857.project(place);
    const low = L.CRS.EPSG3857.project(L.latLng(south, west));
    const high = L.CRS.EPSG3857.project(L.latLng(north, east));
    const column = Math.floor(((at.x - low.x) / (high.x - low.x)) * width);
    const row = Math.floor(((high.y - at.y) / (high.y - low.y)) * height);
    return column >= 0 && column < width && row >= 0 && row < height ? row * width + column : -1;
  }

  async function tell(place) {
    state.place = place;
    const body = document.createElement("tbody");
    let any = false;
    for (const epoch of site().epochs) {
      const layer = await pixels(epoch);
      const index = cell(place, layer.width, layer.height);
      const step = index < 0 ? 0 : layer.grey[index];
      any = any || step > 0;
      const row = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = epoch;
      row.append(head);
      const value = row.insertCell();
      value.textContent = step ? ((step - 1) / data.levels).toFixed(2) : "no value";
      if (epoch === year()) value.className = "now";
    }
    const table = document.createElement("table");
    table.createCaption().textContent =
      "RSEI at " + place.lat.toFixed(4) + ", " + place.lng.toFixed(4) + (any ? "" : ": water, outside, or no data");
    table.append(body);
    find("values").replaceChildren(table);
    if (mark) mark.remove();
    mark = L.circleMarker(place, { radius: 6, color: "#fff", weight: 2, fillColor: "#222", fillOpacity: 0.9 }).addTo(map);
  }

  function choose(number) {
    state.site = number;
    state.epoch = site().epochs.length - 1;
    state.place = null;
    if (mark) mark.remove();
    map.fitBounds(site().bounds, { padding: [10, 10] });
    outlines();
    return draw();
  }

  slider.addEventListener("input", () => { state.epoch = Number(slider.value); draw(); });
  find("opacity").addEventListener("input", (event) => shown && shown.setOpacity(event.target.value / 100));
  find("outline").addEventListener("change", outlines);
  find("mines").addEventListener("change", outlines);
  find("centre").addEventListener("click", () => tell(map.getCenter()));
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const radio of document.querySelectorAll("[name=layer]"))
    radio.addEventListener("change", () => { state.layer = radio.value; draw(); });
  if (find("site")) find("site").addEventListener("change", (event) => choose(Number(event.target.value)));
  map.on("click", (event) => tell(event.latlng));
  if (data.sites.length) choose(0).then(() => { document.body.dataset.ready = "yes"; });
})();
