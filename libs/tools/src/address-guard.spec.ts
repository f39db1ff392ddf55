import { AddressRefusedError, isPrivateAddress, refusePrivateHost } from './address-guard';

describe('isPrivateAddress', () => {
  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a9fe:a9fe',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
  ])('%s is', (address) => expect(isPrivateAddress(address)).toBe(true));

  it.each([
    '1.1.1.1',
    '100.128.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '::ffff:1.1.1.1',
    '::ffff:101:101',
    '2606:4700::1111',
    '2a00::1',
  ])('%s is not', (address) => expect(isPrivateAddress(address)).toBe(false));
});

describe('refusePrivateHost', () => {
  it.each([
    'http://127.0.0.1/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://①②⑦.⓪.⓪.①/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::1]:8080/',
    'http://0/',
  ])('refuses %s', (url) => expect(() => refusePrivateHost(new URL(url), new Set())).toThrow(AddressRefusedError));

  it('lets an allowed one through, and no other', () => {
    expect(() => refusePrivateHost(new URL('http://10.0.0.1/'), new Set(['10.0.0.1']))).not.toThrow();
    expect(() => refusePrivateHost(new URL('http://10.0.0.2/'), new Set(['10.0.0.1']))).toThrow(AddressRefusedError);
  });
});
