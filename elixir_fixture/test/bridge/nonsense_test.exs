defmodule Bridge.NonsenseTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Error, Msgpack, RandomTerms}

  @moduletag :tmp_dir
  @moduletag :capture_log

  # A Python that is no bridge: it says that it is ready, and answers each request with whatever stands
  # in the frames that are its argument. `%` in a frame is the id of the request, as four bytes.
  @python """
  import os, struct, sys
  from msgpack import packb, unpackb

  def write(frame):
      os.write(1, struct.pack(">I", len(frame)) + frame)

  def read(count):
      data = b""
      while len(data) < count:
          part = os.read(0, count - len(data))
          if not part:
              sys.exit()
          data += part
      return data

  write(packb([2, "$/ready", [{"protocol": 1}]]))
  while True:
      message = unpackb(read(struct.unpack(">I", read(4))[0]), raw=True, strict_map_key=False)
      if message[0] != 0:
          continue
      if message[2] == b"$/shutdown":
          sys.exit()
      for frame in message[3][0] if message[3] else []:
          write(frame.replace(b"%%%%", struct.pack(">I", message[1])))
  """

  setup %{tmp_dir: tmp_dir} do
    script = Path.join(tmp_dir, "python")
    real = System.get_env("BRIDGE_PYTHON") || "python3"
    File.write!(script <> ".py", @python)
    File.write!(script, "#!/bin/sh\nexec \"#{real}\" \"#{script}.py\"\n")
    File.chmod!(script, 0o755)
    client = start_supervised!({Bridge.Client, adapter: "none:None", python: script, grace: 0})
    :rand.seed(:exsss, {16, 5, 3})
    %{client: client}
  end

  defp frame(term), do: term |> Msgpack.encode!() |> IO.iodata_to_binary()

  # The answer that every call gets in the end.
  @answer <<0x94, 1, 0xCE, "%%%%", 0xC0, 42>>

  defp call(client, frames) do
    args = [for(each <- frames ++ [@answer], do: {:bytes, each})]
    Bridge.call(client, "emit", args, timeout: patience(), on_progress: fn _, _, _ -> :ok end)
  end

  test "nothing that Python sends ends the client", %{client: client} do
    {:ok, %{os_pid: os_pid}} = Bridge.info(client)

    for n <- 1..400 do
      term = RandomTerms.term()

      frames =
        case rem(n, 8) do
          0 ->
            [frame(term)]

          1 ->
            [frame([2, "$/log", term])]

          2 ->
            [frame([2, "$/log", RandomTerms.list(5, 2)])]

          3 ->
            [frame([2, "$/error", [term]])]

          4 ->
            [frame([2, Enum.random(["$/ready", "$/item", "$/progress", "$/signal", 7]), term])]

          5 ->
            [frame([Enum.random([0, 1, 2, 3, "x", nil]) | RandomTerms.list(4, 2)])]

          6 ->
            [:rand.bytes(:rand.uniform(40)), <<>>, <<0x94, 1>>, <<0x93, 2, 0xA6, "$/item", 0x92>>]

          7 ->
            [frame([1, term, term, term]), frame([0, Integer.pow(2, 70), term, term])]
        end

      # the answer, or an error of this one call if what came was for it
      assert {_ok_or_error, _} = outcome = call(client, frames)
      with {:error, error} <- outcome, do: assert(%Error{} = error)
    end

    assert call(client, []) == {:ok, 42}
    assert {:ok, %{os_pid: ^os_pid}} = Bridge.info(client)
  end

  test "what is wrong with an answer is an error of that call", %{client: client} do
    for _ <- 1..100 do
      odd = frame(RandomTerms.term())

      assert {:error, %Error{} = error} =
               call(client, [<<0x94, 1, 0xCE, "%%%%", odd::binary, 0xC0>>] |> skip_nil(odd))

      assert String.valid?(Exception.message(error))
    end

    # no room for a result, and bytes behind it
    for rest <- [<<0xC0>>, <<0xC0, 1, 2>>, <<0xC1, 1>>] do
      assert {:error, %Error{code: :internal}} =
               call(client, [<<0x94, 1, 0xCE, "%%%%", rest::binary>>])
    end
  end

  # nil is no error
  defp skip_nil(_frames, <<0xC0>>), do: [<<0x94, 1, 0xCE, "%%%%", 1, 0xC0>>]
  defp skip_nil(frames, _odd), do: frames

  test "nothing that a process sends ends the client", %{client: client} do
    {:ok, %{os_pid: os_pid}} = Bridge.info(client)

    for n <- 1..200 do
      term = RandomTerms.term()

      case rem(n, 5) do
        0 -> send(client, term)
        1 -> GenServer.cast(client, term)
        2 -> send(client, {:DOWN, make_ref(), :process, self(), term})
        3 -> send(client, {:EXIT, spawn(fn -> :ok end), term})
        4 -> assert {:error, %Error{}} = GenServer.call(client, term, patience())
      end
    end

    for odd <- [:timeout, :flush, {self(), :close}, {make_ref(), {:ok, 1}}], do: send(client, odd)
    assert call(client, []) == {:ok, 42}
    assert {:ok, %{os_pid: ^os_pid}} = Bridge.info(client)
  end

  describe "a batch" do
    defp batch(frames),
      do: for(frame <- frames, into: <<0xC1>>, do: <<byte_size(frame)::32, frame::binary>>)

    test "is the frames in it", %{client: client} do
      progress = frame([2, "$/progress", [1, 1, 2, nil]])
      assert {:ok, 42} = call(client, [batch([progress, frame([2, "$/unknown", []]), @answer])])
    end

    test "that is cut short, or holds another, ends nothing", %{client: client} do
      whole = batch([frame([2, "$/unknown", []])])

      for wrong <- [<<0xC1>>, binary_part(whole, 0, 9), whole <> "x", batch([whole])] do
        assert {:ok, 42} = call(client, [wrong])
      end
    end
  end
end
