module.exports = require('../../tools/webpack/app.config')('desktop-runtime');
