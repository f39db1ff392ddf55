// Lints texts as if they were the contents of files: reads [{ filePath, text }] from stdin and prints, for each, the
// problems found as [{ line, rule }]. A process of its own, because ESLint loads its configuration with a dynamic import,
// which jest's module loader refuses.
import { ESLint } from 'eslint';
import { text } from 'node:stream/consumers';

const eslint = new ESLint();
const found = [];
for (const { filePath, text: content } of JSON.parse(await text(process.stdin))) {
  const [result] = await eslint.lintText(content, { filePath });
  found.push((result?.messages ?? []).map(({ line, ruleId }) => ({ line, rule: ruleId })));
}
process.stdout.write(JSON.stringify(found));
