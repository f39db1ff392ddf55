module.exports = require('../../tools/webpack/app.config')('worker');
