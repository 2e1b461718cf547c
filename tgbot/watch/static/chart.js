// Draws the bars of a day: 24 hours, each a stack of values, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 480, HEIGHT = 150, LEFT = 44, TOP = 14, BOTTOM = 20, GAP = 3;

function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const swatch = (name) => svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: name, width: 10, height: 10, rx: 3 }));

// `hours`: [{began, values: [[class, number], ...], title}], `say` puts the largest sum into words, `label` all of it.
export function bars(hours, say, label) {
  const most = Math.max(...hours.map(({ values }) => sum(values)), 0);
  const floor = HEIGHT - BOTTOM, step = (WIDTH - LEFT) / hours.length;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  drawn.append(
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: floor + 0.5, y2: floor + 0.5 }),
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: TOP + 0.5, y2: TOP + 0.5 }),
    svg("text", { x: LEFT - 6, y: TOP + 4, "text-anchor": "end" }, most ? say(most) : ""),
    svg("text", { x: LEFT - 6, y: floor + 3, "text-anchor": "end" }, "0"),
  );
  hours.forEach((hour, index) => drawn.append(...column(hour, LEFT + index * step, step, floor, most)));
  return drawn;
}

const sum = (values) => values.reduce((total, [, number]) => total + number, 0);

function column({ began, values, title }, x, step, floor, most) {
  const group = svg("g", {}, svg("title", {}, title));
  let bottom = floor;
  for (const [name, number] of values) {
    const height = most ? (number / most) * (floor - TOP) : 0;
    bottom -= height;
    if (height) group.append(svg("rect", { class: name, x: x + GAP / 2, y: bottom, width: step - GAP, height, rx: 1.5 }));
  }
  const at = new Date(began * 1000).getHours();
  return at % 6 ? [group] : [group, svg("text", { x: x + step / 2, y: HEIGHT - 5, "text-anchor": "middle" }, `${at}:00`)];
}
