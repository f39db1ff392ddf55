module.exports = require('../../tools/webpack/app.config')('worker', [
  { name: 'tool-runner', path: 'libs/tools/src/runner/main.ts' },
]);
