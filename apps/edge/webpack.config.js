module.exports = require('../../tools/webpack/app.config')('edge', [
  { name: 'tool-runner', path: 'libs/tools/src/runner/main.ts' },
]);
