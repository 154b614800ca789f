require_relative "../events"

# A plugin of Minitest, found by its name. It shares its process with the tests.
module Minitest
  class LoopReporter < AbstractReporter
    def start
      LoopEvents.emit(k: "begin")
      @count = 0
    end

    def prerecord(klass, name)
      LoopEvents.emit(k: "start", **place(klass, name))
    end

    def record(result)
      klass = result.respond_to?(:klass) ? result.klass : result.class
      @count += 1
      error = result.failure
      why = {}
      if error && !result.skipped?
        why = LoopEvents.thrown(error.respond_to?(:error) ? error.error : error)
        why[:type] = "Minitest::Assertion" unless result.error?
      end
      state = result.skipped? ? "skip" : (result.passed? ? "pass" : "fail")
      LoopEvents.emit(k: "case", state: state, ms: result.time.to_f * 1000, **why, **place(klass, result.name, result))
    end

    def passed?
      true
    end

    def report
      LoopEvents.emit(k: "none") if @count == 0
      LoopEvents.emit(k: "end", n: @count)
    end

    private

    def place(klass, name, result = nil)
      file, = result.respond_to?(:source_location) ? result.source_location : klass.instance_method(name).source_location
      { file: file.to_s.start_with?("/") ? file : File.expand_path(file), name: "#{klass} › #{name}" }
    end
  end

  def self.plugin_loop_init(_options)
    reporter << LoopReporter.new
  end
end
