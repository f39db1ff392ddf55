// Loads TypeScript for `node`. Of the workspace's paths only those the harness needs: swc takes `@tyrum/*/testing` for a match
// of every library's name.
const { join } = require('node:path');

process.env.TS_NODE_PROJECT = join(__dirname, 'tsconfig.run.json');
require('@swc-node/register');
// Not for the processes started from here: webpack's plugins read it too.
delete process.env.TS_NODE_PROJECT;
