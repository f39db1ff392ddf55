import { classifyError, StaleServerError } from './errors';

const withCode = (code: string) => Object.assign(new Error('x'), { code });

describe('classifyError', () => {
  it.each([
    ['retry', withCode('40001')],
    ['retry', withCode('40P01')],
    ['connection', withCode('57P01')],
    ['connection', withCode('57P03')],
    ['connection', withCode('08006')],
    ['connection', withCode('25P03')],
    ['connection', withCode('25006')],
    ['connection', withCode('TY001')],
    ['connection', new StaleServerError('standby', 'x')],
    ['connection', withCode('ECONNRESET')],
    ['connection', new Error('Connection terminated unexpectedly')],
    ['connection', new Error('timeout exceeded when trying to connect')],
    ['connection', new Error('Client has encountered a connection error and is not queryable')],
    ['connection', new Error('Query runner already released. Cannot run queries anymore.')],
    ['overloaded', withCode('53200')],
    ['overloaded', withCode('53300')],
    ['overloaded', withCode('55P03')],
    ['overloaded', withCode('SQLITE_BUSY')],
    ['other', withCode('23505')],
    ['disk', withCode('SQLITE_FULL')],
    ['disk', withCode('SQLITE_IOERR')],
    ['disk', withCode('53100')],
    ['disk', withCode('58030')],
    ['other', withCode('SQLITE_CONSTRAINT')],
    ['other', new Error('a bug')],
    ['other', 'a text'],
    ['other', undefined],
    ['other', null],
  ])('says %s of %s', (kind, error) => {
    expect(classifyError(error)).toBe(kind);
  });

  it('looks at what the driver said when TypeORM has wrapped it', () => {
    expect(classifyError(Object.assign(new Error('query failed'), { driverError: withCode('40P01') }))).toBe('retry');
  });
});
