
const LOCALE = document.documentElement.lang;
const MINUTE = 60, HOUR = 3600, DAY = 86400; // seconds

const byId = (id) => document.getElementById(id);
const collator = new Intl.Collator(LOCALE, { numeric: true });
const number = (value) => value.toLocaleString(LOCALE);
const percent = (share) => {
  // 99.96 % must not look like 100 %.
  const rounded = Math.floor(share * 1000 + 1e-6) / 1000;
  return rounded.toLocaleString(LOCALE, { style: "percent", maximumFractionDigits: 1 });
};
const time = (moment) => moment.toLocaleString(LOCALE === "en" ? "en-GB" : LOCALE,
  { dateStyle: "medium", timeStyle: "medium" });
const ago = (seconds) => text("ago", duration(seconds));
const millis = (value) => value === null ? "–" : `${number(value)} ms`;

function duration(seconds) {
  const whole = (length) => Math.floor(seconds / length);
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${whole(MINUTE)} min`;
  if (seconds < DAY) return `${whole(HOUR)} h ${whole(MINUTE) % 60} min`;
  return `${whole(DAY)} d ${whole(HOUR) % 24} h`;
}

// Writes only changes, to keep selections and not to disturb screen readers.
function put(node, content, style) {
  if (node.textContent !== content) node.textContent = content;
  if (style !== undefined && node.className !== style) node.className = style;
}

// Gives a list or a table this many children.
function resize(node, count, create) {
  while (node.children.length > count) node.lastElementChild.remove();
  while (node.children.length < count) node.append(create());
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

// Fills the rows of a table. A cell is [text, style, additional text]; its column's class and label are
// those of the table's head.
function fillTable(body, rows) {
  const heads = [...body.parentElement.tHead.rows[0].cells];
  const create = () => element("tr", ...heads.map((head, place) => {
    const cell = element(place ? "td" : "th", element("bdi"), " ", element("small"));
    cell.className = head.className;
    cell.dataset.label = head.textContent;
    return cell;
  }));
  resize(body, rows.length, create);
  rows.forEach((cells, row) => cells.forEach(([content, style = "", additional = ""], place) => {
    const [main, small] = body.children[row].children[place].children;
    put(main, content, style);
    put(small, additional);
  }));
}

for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
put(byId("message"), text("loading"));
