// Draws the cells of a dashboard with the plot library of InfluxDB's own page, from their templates and query results.
// What the page makes of a cell's properties is written here as the page does it; everything that goes wrong is told in
// the element #faults, which is empty if all is well.
"use strict";

const ROW = 83.5, WIDTH = 1240, COLUMNS = 12;
const h = React.createElement;
const faults = [];
const fault = (cell, text) => faults.push(`${cell}: ${text}`);
const consoleError = console.error;
console.error = (...parts) => { faults.push(`console: ${parts.map(String).join(" ").slice(0, 300)}`); consoleError(...parts); };
window.addEventListener("error", event => faults.push(`page: ${event.message}`));

const hexes = (cell, type) => (cell.colors || []).filter(one => one.type === type).map(one => one.hex);
const digits = cell => ({ isEnforced: cell.decimalPlaces !== undefined, digits: cell.decimalPlaces ?? 2 });
const colours = cell => (cell.colors || []).map((one, at) => ({ id: one.id || String(at), value: 0, ...one }));

// The page compares a value with thresholds in the order of their values; the last that it reaches gives the colour.
function textColour(cell, value) {
  const steps = colours(cell).filter(one => one.type === "text").sort((a, b) => a.value - b.value);
  const reached = steps.filter(one => one.value <= value);
  return (reached.length ? reached[reached.length - 1] : steps[0] || { hex: "#333346" }).hex;
}

function newestValue(csv) {
  const { table } = Giraffe.fromFlux(csv);
  const values = table.getColumn("_value", "number") || [];
  return values.length ? values[values.length - 1] : NaN;
}

function axis(cell, name) {
  return (cell.axes || []).find(one => one.name === name) || {};
}

function axes(cell, fill) {
  const x = axis(cell, "x"), y = axis(cell, "y");
  const bounds = [y.bounds, [null, null]].find(Boolean).map(one => (one === null || one === "" ? null : Number(one)));
  const number = Giraffe.siPrefixFormatter({ prefix: y.prefix || "", suffix: y.suffix || "", significantDigits: 4, trimZeros: true });
  const plain = value => `${y.prefix || ""}${Number(value).toLocaleString("en-GB", { maximumFractionDigits: 3 })}${y.suffix || ""}`;
  return {
    xAxisLabel: x.label || "", yAxisLabel: y.label || "",
    yDomain: bounds.every(one => one !== null && !Number.isNaN(one)) ? bounds : undefined,
    valueFormatters: {
      [cell.xCol || "_time"]: Giraffe.timeFormatter({ timeZone: "UTC", format: cell.timeFormat || "HH:mm" }),
      [cell.yCol || "_value"]: y.base === "10" ? number : plain,
    },
    tickFont: "10px Liberation Sans", tickFontColor: "#676978", axisColor: "#bfbfbf", gridColor: "#e7e8eb", gridOpacity: 1,
    legendColumns: [cell.xCol || "_time", cell.yCol || "_value", ...fill],
    staticLegend: cell.staticLegend && cell.staticLegend.show
      ? { heightRatio: cell.staticLegend.heightRatio, hide: false, font: "10px Liberation Sans", fontBrightColor: "#333346",
          fontColor: "#333346", backgroundColor: "#ffffff", border: "none", colorizeRows: cell.staticLegend.colorizeRows,
          orientationThreshold: cell.staticLegend.orientationThreshold, opacity: 1 }
      : undefined,
    legendHide: true,
  };
}

function lines(cell, csv) {
  const parsed = Giraffe.fromFlux(csv);
  const fill = [...parsed.fluxGroupKeyUnion, "result"];
  const layer = {
    type: "line", x: cell.xCol || "_time", y: cell.yCol || "_value", fill, position: cell.position || "overlaid",
    interpolation: { line: "linear", step: "step", monotoneX: "monotoneX" }[cell.geom] || "linear",
    colors: hexes(cell, "scale"), lineWidth: 2, shadeBelow: Boolean(cell.shade), hoverDimension: "auto",
  };
  return { table: parsed.table, ...axes(cell, fill), layers: [layer] };
}

function band(cell, csv) {
  const parsed = Giraffe.fromFlux(csv);
  const fill = [...parsed.fluxGroupKeyUnion, "result"];
  const layer = {
    type: "band", x: cell.xCol || "_time", y: cell.yCol || "_value", fill, interpolation: "linear", hoverDimension: "auto",
    colors: hexes(cell, "scale"), lineWidth: 2, lineOpacity: 0.7, shadeOpacity: 0.3,
    mainColumnName: cell.mainColumn, upperColumnName: cell.upperColumn, lowerColumnName: cell.lowerColumn,
  };
  return { table: parsed.table, ...axes(cell, fill), layers: [layer] };
}

function table(cell, csv) {
  const options = cell.tableOptions || {};
  const fields = (cell.fieldOptions || []).map(one => ({ internalName: one.fieldName, displayName: one.displayName, visible: one.visible }));
  const properties = {
    type: "table", shape: "chronograf-v2", colors: colours(cell), timeFormat: cell.timeFormat, decimalPlaces: digits(cell),
    tableOptions: {
      wrapping: options.wrapping, fixFirstColumn: Boolean(options.fixFirstColumn), verticalTimeAxis: options.verticalTimeAxis !== false,
      sortBy: fields.find(one => one.internalName === options.sortBy) || { internalName: options.sortBy || "", displayName: "", visible: true },
    },
    fieldOptions: fields,
  };
  return { fluxResponse: csv, layers: [{ type: "table", properties, timeZone: "UTC", tableTheme: "light", setFieldOptions: () => {} }] };
}

function stat(cell, csv) {
  const colour = textColour(cell, newestValue(csv));
  return {
    fluxResponse: csv, showAxes: false,
    layers: [{ type: "single stat", prefix: cell.prefix || "", suffix: cell.suffix || "", decimalPlaces: digits(cell),
      textColor: colour, textOpacity: 100, backgroundColor: "transparent", svgTextStyle: { fontSize: "60px", fontWeight: 300, dominantBaseline: "middle", textAnchor: "middle" },
      svgTextAttributes: { fill: colour } }],
  };
}

function gauge(cell, csv) {
  return { fluxResponse: csv, showAxes: false,
    layers: [{ type: "gauge", prefix: cell.prefix || "", suffix: cell.suffix || "", tickPrefix: "", tickSuffix: "", decimalPlaces: digits(cell),
      gaugeColors: colours(cell), gaugeTheme: { valueColor: "#333346", labelColor: "#676978", lineColor: "#bfbfbf" } }] };
}

function histogram(cell, csv) {
  const parsed = Giraffe.fromFlux(csv);
  return { table: parsed.table, ...axes({ ...cell, xCol: cell.xCol || "_value" }, []),
    valueFormatters: {}, layers: [{ type: "histogram", x: cell.xCol || "_value", fill: cell.fillColumns || [], position: cell.position, binCount: cell.binCount, colors: hexes(cell, "scale") }] };
}

const PLOTS = { Single_Stat: stat, Gauge: gauge, Table: table, Xy: lines, Band: band, Histogram: histogram };

class Boundary extends React.Component {
  constructor(props) { super(props); this.state = { error: null }; }
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { fault(this.props.name, `drawing failed: ${error}`); }
  render() { return this.state.error ? h("div", { className: "error" }, "An InfluxDB error has occurred") : this.props.children; }
}

function Cell({ cell, csv, width, height }) {
  if (cell.kind === "Markdown") return h("div", { className: "note" }, cell.note.replace(/\*\*/g, ""));
  if (!csv.trim()) {
    if (!cell.noteOnEmpty) fault(cell.name, "empty, and no note says so");
    return h("div", { className: "note" }, cell.note);
  }
  const make = PLOTS[cell.kind];
  if (!make) { fault(cell.name, `no way to draw a ${cell.kind}`); return null; }
  return h(Giraffe.Plot, { config: { ...make(cell, csv), width, height } });
}

function Board({ cells }) {
  const unit = WIDTH / COLUMNS;
  return cells.map(({ cell, csv }) => {
    const style = { left: cell.xPos * unit, top: (cell.yPos || 0) * ROW, width: cell.width * unit, height: cell.height * ROW };
    const title = cell.kind === "Markdown" ? "Note" : cell.name;
    return h("div", { className: "cell", style, key: cell.name },
      h("div", { className: "frame" },
        h("div", { className: "name" }, title),
        h("div", { className: "plot" },
          h(Boundary, { name: cell.name }, h(Cell, { cell, csv, width: style.width - 20, height: style.height - 44 })))));
  });
}

const board = document.getElementById("board");
document.getElementById("title").textContent = BOARD.name;
board.style.width = `${WIDTH}px`;
board.style.height = `${Math.max(...BOARD.cells.map(({ cell }) => (cell.yPos || 0) + cell.height)) * ROW}px`;
ReactDOM.render(h(Board, { cells: BOARD.cells }), board);
window.addEventListener("load", () => setTimeout(() => { document.getElementById("faults").textContent = faults.join("\n"); document.body.dataset.done = "1"; }, 1500));
