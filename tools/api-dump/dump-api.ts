import { isDeepStrictEqual } from 'node:util';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TaskExecutePayload, type JsonSchema } from '../../libs/protocol/src/index';
import { asyncApiDocument } from './asyncapi';
import { openApiDocument } from './openapi';
import { SchemaBook } from './schema-book';

/*
 * Writes `docs/openapi.json` and `docs/asyncapi.json` from the contracts in `libs/protocol`; the edge serves these files. With
 * `--check` it writes nothing and exits with 1 when they say something else.
 */

const DOCS = join(__dirname, '..', '..', 'docs');

/** The books are apart, so that each document carries what it speaks of and no more. */
function newBook(): SchemaBook {
  const book = new SchemaBook();
  // An action's arguments depend on its type in ways the decorators tell and the type can only list.
  book.ofClass(TaskExecutePayload);
  const payload = book.usedBy(book.ofClass(TaskExecutePayload))[TaskExecutePayload.name] as {
    properties: { action: JsonSchema };
  };
  book.replace('Action', payload.properties.action);
  return book;
}

function main(): void {
  const documents = { 'openapi.json': openApiDocument(newBook()), 'asyncapi.json': asyncApiDocument(newBook()) };
  for (const [name, document] of Object.entries(documents)) {
    const path = join(DOCS, name);
    if (!process.argv.includes('--check')) writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
    else if (!isDeepStrictEqual(JSON.parse(JSON.stringify(document)), JSON.parse(readFileSync(path, 'utf8')))) {
      console.error(`docs/${name} is not what the contracts say: run \`npm run api:dump\``);
      process.exitCode = 1;
    }
  }
}

main();
