import { fields, onOneLine, table } from './terminal';

it('aligns columns and leaves no space at the end of a line', () => {
  const rows = [
    ['1', 'succeeded', ''],
    ['22', 'ok', 'x'],
  ];
  expect(table(['ID', 'STATUS', 'X'], rows)).toBe('ID  STATUS     X\n1   succeeded\n22  ok         x\n');
});

it('leaves out fields without a value', () => {
  expect(fields([['turn', 'a'], ['reason', undefined], ['finished', null]])).toBe('turn  a\n');
});

it('lets nothing in a name move the cursor', () => {
  expect(onOneLine('a\u001b[2Jb\r\nc')).toBe('a [2Jb c');
});
