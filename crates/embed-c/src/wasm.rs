//! What a host of a WebAssembly module needs besides: memory of the module, to put bytes into.

use std::ptr;

/// Memory for so many bytes, all zero; null if there is none, or none is asked for. The caller gives it back with
/// `portcullis_free`, and the same length.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_alloc(len: usize) -> *mut u8 {
    let mut bytes = Vec::new();
    if len == 0 || bytes.try_reserve_exact(len).is_err() {
        return ptr::null_mut();
    }
    bytes.resize(len, 0_u8);
    Box::into_raw(bytes.into_boxed_slice()).cast()
}

/// Gives memory back. Nothing happens if it is null.
///
/// # Safety
///
/// `data` is null, or was given by `portcullis_alloc` for `len` bytes and not given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_free(data: *mut u8, len: usize) {
    if !data.is_null() {
        let bytes = ptr::slice_from_raw_parts_mut(data, len);
        // SAFETY: it is the box that `portcullis_alloc` made, of this length, and is given back once, by the contract
        // of this function.
        drop(unsafe { Box::from_raw(bytes) });
    }
}
