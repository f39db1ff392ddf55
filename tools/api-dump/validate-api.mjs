// Checks the published documents against the specifications they claim to follow: `node validate-api.mjs <openapi> <asyncapi>`.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { Validator } from '@seriousme/openapi-schema-validator';

const [openapi, asyncapi] = process.argv.slice(2).map((path) => readFileSync(path, 'utf8'));
const problems = [];

const { valid, errors } = await new Validator().validate(JSON.parse(openapi));
if (!valid) problems.push(`openapi: ${typeof errors === 'string' ? errors : JSON.stringify(errors, null, 2)}`);

const ERROR = 0;
for (const { severity, message, path } of await new Parser().validate(asyncapi)) {
  if (severity === ERROR) problems.push(`asyncapi: ${path.join('.')}: ${message}`);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
