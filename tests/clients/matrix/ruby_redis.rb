# ruby-redis.
require 'redis'
require 'socket'

PORT = Integer(ENV.fetch('PORT'))
$stdout.sync = true
puts "version ruby-redis #{Redis::VERSION} on Ruby #{RUBY_VERSION}"

def section(name)
  yield
  puts "#{name} ok"
rescue StandardError => e
  puts "#{name} FAILED: #{"#{e.class}: #{e.message}".gsub(/\s+/, ' ')[0, 300]}"
end

def expect(got, wanted)
  raise "#{got.inspect[0, 120]}, not #{wanted.inspect[0, 120]}" unless got == wanted
end

def order(word)
  TCPSocket.open('127.0.0.1', ENV.fetch('CONTROL')) do |control|
    control.puts(word)
    Integer(control.read)
  end
end

def rejected(text)
  got = yield
rescue Redis::CommandError => e
  raise "the error says: #{e.message}" unless e.message.include?(text)
else
  raise "#{got.inspect[0, 100]} instead of an error #{text}"
end

client = Redis.new(port: PORT)

section('connect') { expect(client.ping, 'PONG') }

section('strings') do
  expect(client.set('s', '1', ex: 100), 'OK')
  expect(client.incr('s'), 2)
  expect(client.get('s'), '2')
  expect(client.get('none'), nil)
  expect(client.hset('h', 'f' => 'v', 'g' => 'w'), 2)
  expect(client.hgetall('h'), 'f' => 'v', 'g' => 'w')
  expect(client.zadd('z', 1.5, 'm'), true)
  expect(client.zscore('z', 'm'), 1.5)
end

section('pipelines') do
  replies = client.pipelined do |pipe|
    500.times do |number|
      pipe.set("p#{number}", number)
      pipe.get("p#{number}")
    end
  end
  expect(replies, (0...500).flat_map { |number| ['OK', number.to_s] })
end

section('multi-key') do
  names = (0...50).map { |number| "m#{number}" }
  expect(client.mset(*names.flat_map { |name| [name, name] }), 'OK')
  expect(client.mget(*names, 'none'), names + [nil])
  expect(client.exists(*names, 'none'), 50)
  expect(client.del(*names[25..]), 25)
  expect(client.unlink(*names), 25)
end

section('binary values') do
  value = (0..255).to_a.pack('C*') * 4096
  key = "\x00\xff\r\n".b
  expect(client.set(key, value), 'OK')
  expect(client.get(key).b == value, true)
end

section('an error keeps the connection') do
  before = order('count')
  client.hset('hash', 'f', 'v')
  rejected('WRONGTYPE') { client.incr('hash') }
  rejected('unknown command') { client.call('NOSUCHCOMMAND') }
  expect(client.get('none'), nil)
  expect(order('count'), before)
end

section('reconnect') do
  client.set('r', '1')
  order('cut')
  attempts = 0
  begin
    expect(client.get('r'), '1')
  rescue Redis::BaseConnectionError
    attempts += 1
    retry if attempts < 3
    raise
  end
end

section('transactions') do
  replies = client.multi do |transaction|
    transaction.set('{t}a', 1)
    transaction.incr('{t}a')
    transaction.set('{t}b', 2)
  end
  expect(replies, ['OK', 2, 'OK'])
end

section('watch') do
  other = Redis.new(port: PORT)
  client.watch('{w}a')
  other.set('{w}a', '5')
  expect(client.multi { |transaction| transaction.set('{w}a', 2) }, nil)
  client.watch('{w}a')
  expect(client.multi { |transaction| transaction.set('{w}a', 2) }, ['OK'])
end

section('blocking pops') do
  expect(client.blpop('{b}none', timeout: 1), nil)
  other = Redis.new(port: PORT)
  waiting = Thread.new { other.blpop('{b}none', '{b}list', timeout: 5) }
  sleep 0.2
  client.rpush('{b}list', 'x')
  expect(waiting.value, ['{b}list', 'x'])
end

section('publish/subscribe') do
  got = nil
  subscriber = Redis.new(port: PORT)
  subscriber.subscribe_with_timeout(5, 'channel') do |on|
    on.subscribe { client.publish('channel', 'x') }
    on.message do |channel, message|
      got = "#{channel} #{message}"
      subscriber.unsubscribe
    end
  end
  expect(got, 'channel x')
end

section('scans') do
  300.times { |number| client.set("scan:#{number}", 1) }
  expect(client.scan_each(match: 'scan:*', count: 17).to_a.uniq.size, 300)
  expect(client.keys('scan:*').size, 300)
end

section('scripts') do
  expect(client.eval('return {KEYS[1], ARGV[1]}', ['k'], ['a']), %w[k a])
  sha = client.script(:load, "return 2 * redis.call('GET', KEYS[1])")
  client.set('two', 2)
  expect(client.evalsha(sha, ['two']), 4)
end
