import { join } from 'node:path';

/** Where the dumps are kept. */
export const SCHEMA_FOLDER = join(__dirname, '..', '..', 'libs', 'statestore', 'schema');
