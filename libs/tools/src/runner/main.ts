import { serveParent } from './tool-runner';

serveParent(process.env, process.argv.slice(2));
