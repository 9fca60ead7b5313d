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
  const ramp = () => (state.layer === "rsei" ? data.colours.rsei : data.colours.change);
  const since = () => site().epochs[state.layer === "first" ? 0 : state.epoch - 1];

  /* The grey steps of a picture: of an epoch by its name, or of the trend. */
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
        image.src = epoch === "trend" ? site().trend.image : site().images[epoch];
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

  /* What gives a pixel's place on the scale of colours, 0 to 1, or NaN; and the scale's reach. */
  async function scale() {
    if (state.layer === "trend") {
      const trend = await pixels("trend");
      const part = (i) => (trend.grey[i] ? (trend.grey[i] - 1) / data.trendLevels : NaN);
      return { size: trend, part: part, widest: site().trend.reach };
    }
    const index = state.layer === "rsei";
    const [now, before] = await Promise.all([pixels(year()), index ? null : pixels(since())]);
    if (index) {
      return { size: now, part: (i) => (now.grey[i] ? (now.grey[i] - 1) / data.levels : NaN), widest: 1 };
    }
    const widest = reach(now, before);
    const part = (i) => (now.grey[i] && before.grey[i] ? 0.5 + (now.grey[i] - before.grey[i]) / widest / 2 : NaN);
    return { size: now, part: part, widest: widest / data.levels };
  }

  async function coloured() {
    const found = await scale();
    const canvas = document.createElement("canvas");
    canvas.width = found.size.width;
    canvas.height = found.size.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let i = 0; i < found.size.grey.length; i++) {
      const part = found.part(i);
      if (Number.isNaN(part)) continue;
      image.data.set(ramp()[Math.round(254 * Math.max(0, Math.min(1, part)))], 4 * i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return { url: canvas.toDataURL(), widest: found.widest };
  }

  async function draw() {
    const last = site().epochs.length - 1;
    const possible = { rsei: true, first: last > 0, before: last > 0, trend: Boolean(site().trend) };
    if (!possible[state.layer]) state.layer = "rsei";
    const change = state.layer === "first" || state.layer === "before";
    if (change && state.epoch === 0) state.epoch = 1;
    slider.max = last;
    slider.min = change ? 1 : 0;
    slider.value = state.epoch;
    slider.disabled = last === 0 || state.layer === "trend";
    const names = { rsei: year, trend: () => site().epochs[0] + " to " + site().epochs[last] };
    const name = (names[state.layer] || (() => since() + " to " + year()))();
    find("epoch-name").textContent = name;
    slider.setAttribute("aria-valuetext", name);
    for (const radio of document.querySelectorAll("[name=layer]")) {
      radio.checked = radio.value === state.layer;
      radio.disabled = !possible[radio.value];
    }
    const wanted = [state.site, state.layer, state.epoch].join();
    const made = await coloured();
    if (wanted !== [state.site, state.layer, state.epoch].join()) return;
    const look = { className: "pixels", opacity: find("opacity").value / 100, alt: "Map of " + name };
    const next = L.imageOverlay(made.url, site().bounds, look).addTo(map);
    next.getElement().dataset.shows = wanted;
    if (shown) shown.remove();
    shown = next;
    outlines();
    legend(made.widest);
    if (state.place) await tell(state.place);
  }

  const told = (number) => number.toFixed(number < 0.1 ? 4 : 2);

  function legend(widest) {
    const change = state.layer !== "rsei";
    const canvas = document.createElement("canvas");
    canvas.width = 255;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    ramp().forEach((shade, i) => {
      context.fillStyle = "rgb(" + shade.join() + ")";
      context.fillRect(i, 0, 1, 1);
    });
    const title = document.createElement("p");
    title.textContent = { rsei: "RSEI", trend: "Trend of RSEI a year" }[state.layer] || "Change of RSEI";
    const ends = document.createElement("div");
    ends.className = "ends";
    const words = change
      ? ["\u2212" + told(widest) + " loss", "0", "gain +" + told(widest)]
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
    /* Mines are red, but black where the colours tell a loss: nobody should take a rim for one. */
    const rim = state.layer === "rsei" ? data.mines : "#222";
    const styles = [
      ["outline", site().outline, { color: "#222", weight: 1.5, fill: false, interactive: false }],
      ["mines", site().mines, { color: rim, weight: 1.5, fill: false, interactive: false }],
    ];
    for (const [box, shape, style] of styles) {
      find(box).disabled = !shape;
      if (shape && find(box).checked) lines.push(L.geoJSON(shape, { style: style, interactive: false }).addTo(map));
    }
  }

  /* The step of a picture at a place: the pictures are in web Mercator, as the map itself. */
  function stepAt(place, layer) {
    const [[south, west], [north, east]] = site().bounds;
    const at = L.CRS.EPSG3857.project(place);
    const low = L.CRS.EPSG3857.project(L.latLng(south, west));
    const high = L.CRS.EPSG3857.project(L.latLng(north, east));
    const column = Math.floor(((at.x - low.x) / (high.x - low.x)) * layer.width);
    const row = Math.floor(((high.y - at.y) / (high.y - low.y)) * layer.height);
    const within = column >= 0 && column < layer.width && row >= 0 && row < layer.height;
    return within ? layer.grey[row * layer.width + column] : 0;
  }

  function addRow(body, name, text, now) {
    const row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    const cell = row.insertCell();
    cell.textContent = text;
    if (now) cell.className = "now";
  }

  async function tell(place) {
    state.place = place;
    const body = document.createElement("tbody");
    let any = false;
    for (const epoch of site().epochs) {
      const step = stepAt(place, await pixels(epoch));
      any = any || step > 0;
      addRow(body, epoch, step ? ((step - 1) / data.levels).toFixed(2) : "no value", epoch === year());
    }
    if (site().trend) {
      const step = stepAt(place, await pixels("trend"));
      const slope = (((step - 1) / data.trendLevels) * 2 - 1) * site().trend.reach;
      addRow(body, "trend a year", step ? (slope < 0 ? "\u2212" : "+") + told(Math.abs(slope)) : "none");
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
