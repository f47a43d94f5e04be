"use strict"

// Every Node that this package is for can require ESM; what it gives is the export `module.exports`, a plain object.
module.exports = require("../dist/index.js")
