// Write a PNG again with 64 colours, which charts do not miss: `node shrink.js FILE`.
const fs = require("fs");
const UPNG = require("upng-js");

const path = process.argv[2];
const found = UPNG.decode(fs.readFileSync(path));
fs.writeFileSync(path, Buffer.from(UPNG.encode(UPNG.toRGBA8(found), found.width, found.height, 64)));
